import { FrrRouter } from '../kit/routers/frr.ts';
import { tellRouterStories } from './router-stories.ts';

tellRouterStories((lab) => new FrrRouter(lab.theirs.name));
